// Before the first test: dist is built, since worker threads are started from there. With type
// errors the tests run all the same; `npm run check` is what refuses them.
import { build } from './build.mjs';

export default function buildOnce() {
  if (!build()) process.stderr.write('the sources have type errors (above); testing them anyway\n');
}
