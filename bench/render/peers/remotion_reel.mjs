// The reel with Remotion: a page drawn by Chromium frame by frame. `bundle` is run once before; only rendering is timed.
import { bundle } from '@remotion/bundler';
import { renderMedia, selectComposition } from '@remotion/renderer';
import { readFileSync } from 'node:fs';

const [what, file] = process.argv.slice(2);
const job = JSON.parse(readFileSync(file, 'utf8'));
if (what === 'bundle') {
  await bundle({ entryPoint: job.entry, publicDir: job.public, outDir: job.bundle });
} else {
  const common = { serveUrl: job.bundle, inputProps: job, browserExecutable: job.chromium,
    chromeMode: 'chrome-for-testing', chromiumOptions: { enableMultiProcessOnLinux: true } };
  const composition = await selectComposition({ ...common, id: 'reel' });
  await renderMedia({ ...common, composition, codec: 'h264', crf: 23, x264Preset: 'veryfast',
    pixelFormat: 'yuv420p', concurrency: 2, outputLocation: job.target, audioBitrate: '192k' });
}
