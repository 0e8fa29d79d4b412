// A worker that answers the first request and then ends the way `how` says.
import { parentPort, workerData } from 'node:worker_threads';

let requests = 0;
parentPort.on('message', (message) => {
  if (message.kind === 'close') process.exit(0);
  if (message.kind !== 'request') return;
  requests++;
  if (requests === 1) parentPort.postMessage({ kind: 'done', id: message.id, value: {} });
  else if (workerData.threads === 1) process.exit(3);
  else throw new Error('out of luck');
});
parentPort.postMessage({ kind: 'ready' });
