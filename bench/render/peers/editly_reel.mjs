// The reel with editly: its own zoom, title, fade, ducking and normalisation.
import editly from 'editly';
import { readFileSync } from 'node:fs';

const job = JSON.parse(readFileSync(process.argv[2], 'utf8'));
await editly({
  outPath: job.target,
  width: job.size[0],
  height: job.size[1],
  fps: job.fps,
  ffmpegPath: job.ffmpeg,
  ffprobePath: job.ffprobe,
  keepSourceAudio: false,
  defaults: { transition: { name: 'fade', duration: job.crossfade } },
  clips: job.scenes.map((scene) => ({
    duration: scene.frames / job.fps,
    layers: [
      { type: 'image', path: scene.picture, zoomDirection: 'in', zoomAmount: job.zoom },
      { type: 'title', text: scene.title, fontPath: job.font, zoomDirection: null },
    ],
  })),
  audioTracks: [
    { path: job.music, mixVolume: 0.3 },
    ...job.scenes.map((scene) => ({ path: scene.speech, mixVolume: 1, start: scene.spoken_at })),
  ],
  audioNorm: { enable: true },
  customOutputArgs: ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-pix_fmt', 'yuv420p',
    '-c:a', 'aac', '-b:a', '192k', '-movflags', '+faststart'],
});
