// The page that Remotion draws: every scene's picture zooms, holds its title, and fades in over the one before.
import React from 'react';
import { AbsoluteFill, Audio, Composition, Img, Sequence, interpolate, registerRoot, staticFile, useCurrentFrame } from 'remotion';

const Scene = ({ scene, fade, zoom, first }) => {
  const frame = useCurrentFrame();
  const scale = 1 + (zoom * frame) / (scene.frames - 1);
  const opacity = first ? 1 : interpolate(frame, [0, fade], [0, 1], { extrapolateRight: 'clamp' });
  return (
    <AbsoluteFill style={{ opacity }}>
      <Img src={staticFile(scene.picture_name)}
        style={{ width: '100%', height: '100%', objectFit: 'cover', transform: `scale(${scale})` }} />
      <AbsoluteFill style={{ justifyContent: 'center', alignItems: 'center', color: 'white', fontSize: 104,
        fontWeight: 800, fontFamily: 'sans-serif', textShadow: '3px 3px 8px rgba(0,0,0,0.7)' }}>
        {scene.title}
      </AbsoluteFill>
    </AbsoluteFill>
  );
};

const Reel = (job) => {
  const spoken = (frame) => job.scenes.some(({ spoken_at: at, spoken }) => {
    const t = frame / job.fps;
    return t >= at && t < at + spoken;
  });
  return (
    <AbsoluteFill style={{ backgroundColor: 'black' }}>
      {job.scenes.map((scene, index) => (
        <Sequence key={index} from={Math.round(scene.start * job.fps)} durationInFrames={scene.frames}>
          <Scene scene={scene} fade={job.crossfade * job.fps} zoom={job.zoom} first={index === 0} />
        </Sequence>
      ))}
      {job.scenes.map((scene, index) => (
        <Sequence key={`s${index}`} from={Math.round(scene.spoken_at * job.fps)}>
          <Audio src={staticFile(scene.speech_name)} />
        </Sequence>
      ))}
      <Audio src={staticFile('music.wav')} loop volume={(frame) => (spoken(frame) ? 0.1 : 0.4)} />
    </AbsoluteFill>
  );
};

registerRoot(() => (
  <Composition id="reel" component={Reel} durationInFrames={1} fps={30} width={1920} height={1080}
    defaultProps={{ scenes: [], fps: 30, crossfade: 0.5, zoom: 0.1, total: 1, size: [1920, 1080] }}
    calculateMetadata={({ props }) => ({ durationInFrames: props.total, fps: props.fps })} />
));
