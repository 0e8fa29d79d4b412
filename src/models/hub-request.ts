// Requests to the Hub. The token goes to the endpoint's own origin and nowhere else, whoever redirects
// or links where; answers that are refusals become errors that say what to do; what fails for a moment
// is tried again; a server that falls silent is given up.
import { AnyformerError } from '../tensor/error.js';
import { VERSION } from '../tensor/version.js';
import type { HubSettings } from './hub-settings.js';
import { printable } from './json-strict.js';

export type HubAccess = Pick<HubSettings, 'endpoint' | 'token'> & {
  readonly signal?: AbortSignal | undefined;
  /** Given up after this long without a byte; 30 s unless told. */
  readonly patienceMs?: number | undefined;
  /** The first pause before another try; 500 ms unless told. */
  readonly pauseMs?: number | undefined;
};

const PATIENCE_MS = 30_000;
const PAUSE_MS = 500;
const TRIES = 5;
const MAX_HOPS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** GET; 2xx and 416 come back, the rest is thrown. Errors: `hub/*`. */
export async function request(
  address: string | URL,
  { endpoint, token, signal, patienceMs = PATIENCE_MS }: HubAccess,
  given: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const home = new URL(endpoint).origin;
  let url = new URL(address);
  let trusted = true;
  for (let hop = 0; hop <= MAX_HOPS; hop++) {
    trusted &&= url.origin === home;
    // Compressed bodies would have other lengths than those announced.
    const headers = new Headers({ ...given, 'accept-encoding': 'identity' });
    headers.set('user-agent', `anyformer/${VERSION}`);
    if (token !== undefined && trusted) headers.set('authorization', `Bearer ${token}`);
    const response = await answered(url, headers, signal, patienceMs);
    if (response.ok || response.status === 416) return response;
    if (!REDIRECTS.has(response.status)) throw await refusal(response, url, token !== undefined);
    await response.body?.cancel();
    url = redirected(url, response.headers.get('location'));
  }
  throw new AnyformerError('hub/redirect', {
    what: `${address} leads from one address to the next without end`,
    expected: `at most ${MAX_HOPS} redirects`,
    found: 'more',
  });
}

async function answered(
  url: URL,
  headers: Headers,
  signal: AbortSignal | undefined,
  patienceMs: number,
): Promise<Response> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patienceMs);
  const signals = signal ? [signal, stop.signal] : [stop.signal];
  try {
    return await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.any(signals) });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new AnyformerError('hub/unreachable', {
      what: `${url.origin} cannot be reached`,
      found: stop.signal.aborted ? `no answer in ${patienceMs / 1000} s` : reasonOf(cause),
      hint: 'check the network and HF_ENDPOINT; HF_HUB_OFFLINE=1 uses what was downloaded before',
      cause,
    });
  } finally {
    clearTimeout(timer);
  }
}

function redirected(from: URL, location: string | null): URL {
  const to =
    location !== null && URL.canParse(location, from) ? new URL(location, from) : undefined;
  const downgrade = from.protocol === 'https:' && to?.protocol !== 'https:';
  if (to && /^https?:$/.test(to.protocol) && !downgrade) return to;
  throw new AnyformerError('hub/redirect', {
    what: `${from.origin} redirects to what is not followed`,
    expected: downgrade ? 'an https address' : 'an http or https address',
    found: location === null ? 'no address' : printable(location),
  });
}

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message || cause.name : String(cause);
};

/** Errors for which another try may help. */
const PASSING = new Set(['hub/unreachable', 'hub/dropped', 'hub/server', 'file/incomplete']);
const isPassing = (error: unknown): boolean =>
  error instanceof AnyformerError && PASSING.has(error.code);

async function refusal(response: Response, url: URL, hasToken: boolean): Promise<AnyformerError> {
  const { status, headers } = response;
  await response.body?.cancel();
  const said = headers.get('x-error-message');
  const found = `status ${status}${said === null ? '' : `: ${printable(said, 200)}`}`;
  const gated = headers.get('x-error-code') === 'GatedRepo';
  const what = `${url.origin} refuses ${url.pathname}`;
  if (status === 404 || status === 410) {
    return new AnyformerError('hub/not-found', {
      what: `${url.origin} has no ${url.pathname}`,
      found,
      hint: 'check the name and the revision',
    });
  }
  if (status === 401 || status === 403) {
    const login = hasToken
      ? 'check that HF_TOKEN is valid and may read this model'
      : 'check the name; for a private model set HF_TOKEN';
    const hint = gated ? "accept the model's terms on its page, and set HF_TOKEN" : login;
    return new AnyformerError('hub/denied', { what, found, hint });
  }
  if (status === 429 || status >= 500) {
    return new AnyformerError('hub/server', { what, found, hint: 'try again in a while' });
  }
  return new AnyformerError('hub/refused', { what, expected: 'status 200 or 206', found });
}

/** The body piece by piece; `hub/dropped` when it breaks off or nothing comes for long. */
export async function* bodyOf(
  response: Response,
  { signal, patienceMs = PATIENCE_MS }: HubAccess,
): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      const silence = new Promise<never>((_, fail) => {
        timer = setTimeout(() => fail(new Error(`nothing in ${patienceMs / 1000} s`)), patienceMs);
      });
      const { done, value } = await Promise.race([reader.read(), silence]);
      clearTimeout(timer);
      if (done) return;
      yield value;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw new AnyformerError('hub/dropped', {
      what: `${response.url} stopped in the middle`,
      found: reasonOf(cause),
      hint: 'try again: what came is kept',
      cause,
    });
  } finally {
    clearTimeout(timer);
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * `attempt` until it succeeds, fails for good, or failed five times in a row without `progressed`;
 * the pauses between grow.
 */
export async function retrying<T>(
  attempt: () => Promise<T>,
  { signal, pauseMs = PAUSE_MS }: HubAccess,
  progressed: () => boolean = () => false,
): Promise<T> {
  for (let failed = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      failed = progressed() ? 1 : failed + 1;
      if (!isPassing(error) || failed >= TRIES) throw error;
    }
    await pause(pauseMs * 2 ** (failed - 1), signal);
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((done) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      done();
    }
    signal?.addEventListener('abort', end, { once: true });
  });
  signal?.throwIfAborted();
}
