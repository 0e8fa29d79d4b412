// A model for the time of a command: what it keeps open is closed afterwards, and what has to be
// fetched from the Hub first is announced and shown.
import type { HubPlan, HubProgress } from '../models/hub.js';
import { showReference } from '../models/hub-reference.js';
import type { Model } from '../models/model.js';
import { resolveModel } from '../models/resolve.js';
import { formatBytes } from '../optimize/format.js';
import type { Terminal } from './terminal.js';

export type OpenOptions = { signal?: AbortSignal | undefined; terminal?: Terminal | undefined };

export async function openModel(
  name: string,
  { signal, terminal }: OpenOptions = {},
): Promise<AsyncDisposable & { model: Model }> {
  const planned = ({ listing, bytes, missingBytes }: HubPlan) => {
    if (missingBytes === 0) return;
    const all = missingBytes === bytes ? '' : ` of ${formatBytes(bytes)}`;
    terminal?.note(
      `fetching ${showReference(listing.reference)} from the Hub: ${formatBytes(missingBytes)}${all}`,
    );
  };
  const progress = ({ status, file = '', loadedAll, totalAll }: HubProgress) => {
    if (status === 'ready') terminal?.clear();
    else terminal?.progress({ stage: 'fetch', done: loadedAll, total: totalAll, what: file });
  };
  const model = await resolveModel(name, { signal, progress, planned });
  return { model, [Symbol.asyncDispose]: () => model[Symbol.asyncDispose]() };
}
