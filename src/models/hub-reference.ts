// Names of Hub models: `org/name`, or `org/name@revision` with a branch, a tag or a commit. Pure.
import { AnyformerError } from '../tensor/error.js';
import { printable } from './json-strict.js';

export type HubReference = {
  /** `org/name`. */
  readonly name: string;
  /** `main` unless told. */
  readonly revision: string;
};

const MAIN = 'main';
const part = /^[A-Za-z0-9](?:[\w.-]{0,95}[A-Za-z0-9_])?$/;
const COMMIT = /^[0-9a-f]{40}$/;

export const isCommit = (revision: string): boolean => COMMIT.test(revision);

/**
 * The reference that `text` is, or undefined where it does not look like one. Errors:
 * `hub/reference` for one with a revision that cannot be.
 */
export function parseHubReference(text: string): HubReference | undefined {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  const parts = name.split('/');
  if (parts.length !== 2 || !parts.every((p) => part.test(p) && !/--|\.\./.test(p))) {
    return undefined;
  }
  return { name, revision: at < 0 ? MAIN : checkRevision(text.slice(at + 1), text) };
}

// A revision becomes a file below `refs`.
function checkRevision(revision: string, text: string): string {
  const parts = revision.split('/');
  if (revision.length <= 250 && parts.every((p) => /^\w(?:[\w.-]*\w)?$/.test(p))) return revision;
  throw new AnyformerError('hub/reference', {
    what: `${printable(text)} names no revision of a Hub model`,
    expected: 'org/name@revision with the name of a branch or tag, or a commit of 40 hex digits',
    found: printable(revision),
  });
}

/** `org/name`, with the revision where it is not the main branch. */
export const showReference = ({ name, revision }: HubReference): string =>
  revision === MAIN ? name : `${name}@${revision}`;
