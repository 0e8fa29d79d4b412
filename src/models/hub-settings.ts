// Where the Hub is and where its files are kept: the environment variables that huggingface_hub reads,
// with the same meaning and order, and the same folders, so that both share what was downloaded.
import { environment, homeFolder, joinPath } from '#platform';
import { AnyformerError } from '../tensor/error.js';

export type HubSettings = {
  /** Address of the Hub, without a slash at its end. */
  readonly endpoint: string;
  /** Folder of the cache. */
  readonly cache: string;
  /** Sent to the endpoint and to nobody else. */
  readonly token: string | undefined;
  /** Nothing is asked of the network. */
  readonly offline: boolean;
};

const HUB = 'https://huggingface.co';

/**
 * From the environment: HF_ENDPOINT; HF_TOKEN; HF_HUB_OFFLINE; and the first of HF_HUB_CACHE,
 * HUGGINGFACE_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub and ~/.cache/huggingface/hub.
 * Errors: `hub/endpoint`.
 */
export function hubSettings(given: Partial<HubSettings> = {}): HubSettings {
  return {
    endpoint: checkEndpoint(given.endpoint ?? environment('HF_ENDPOINT') ?? HUB),
    cache: given.cache ?? cacheFolder(),
    token: given.token ?? environment('HF_TOKEN')?.trim(),
    offline: given.offline ?? isYes(environment('HF_HUB_OFFLINE')),
  };
}

function cacheFolder(): string {
  const own = environment('HF_HUB_CACHE') ?? environment('HUGGINGFACE_HUB_CACHE');
  if (own !== undefined) return expanded(own);
  const home = environment('HF_HOME');
  if (home !== undefined) return joinPath(expanded(home), 'hub');
  const caches = environment('XDG_CACHE_HOME') ?? '~/.cache';
  return joinPath(expanded(caches), 'huggingface', 'hub');
}

const expanded = (path: string): string =>
  path === '~' || path.startsWith('~/') ? joinPath(homeFolder(), path.slice(1)) : path;

const isYes = (text: string | undefined): boolean => /^(1|on|yes|true)$/i.test(text ?? '');

function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username === '' && url.search === '') {
    return text.replace(/\/+$/, '');
  }
  throw new AnyformerError('hub/endpoint', {
    what: 'HF_ENDPOINT is no address of a Hub',
    expected: `an http or https address, such as ${HUB}`,
    found: text,
  });
}
