// Where the bytes and the FLOPs of a model lie, in few enough groups to read: module paths are cut at
// the greatest depth that gives at most `limit` groups; if even the first part of the path gives
// more, the smallest are added up as 'everything else'.

export type ModuleCost = { readonly path: string; readonly bytes: number; readonly flops: number };

export type Share = {
  readonly group: string;
  readonly before: Omit<ModuleCost, 'path'>;
  readonly after: Omit<ModuleCost, 'path'>;
};

export const REST = 'everything else';
/** What stands in no module: the steps between them. */
const OUTSIDE = 'between modules';

/** Groups in order of first appearance, `everything else` last. Sums equal those of the rows. */
export function breakdown(
  before: readonly ModuleCost[],
  after: readonly ModuleCost[],
  limit = 8,
): Share[] {
  const paths = [...before, ...after].map(({ path }) => path.split(/[./]/));
  const groupsAt = (depth: number) =>
    new Set(paths.map((path) => path.slice(0, depth).join('.') || OUTSIDE));
  const deepest = Math.max(1, ...paths.map((path) => path.length));
  let depth = 1;
  while (depth < deepest && groupsAt(depth + 1).size <= limit) depth++;
  const key = (path: string) => path.split(/[./]/).slice(0, depth).join('.') || OUTSIDE;
  const sum = (rows: readonly ModuleCost[], group: (path: string) => boolean) =>
    rows
      .filter(({ path }) => group(key(path)))
      .reduce(
        (total, row) => ({ bytes: total.bytes + row.bytes, flops: total.flops + row.flops }),
        {
          bytes: 0,
          flops: 0,
        },
      );
  const shares = (name: string, group: (path: string) => boolean): Share => ({
    group: name,
    before: sum(before, group),
    after: sum(after, group),
  });
  const all = [...groupsAt(depth)].map((name) => shares(name, (path) => path === name));
  if (all.length <= limit) return all;
  const weight = ({ before: a, after: b }: Share) => Math.max(a.bytes, b.bytes);
  const kept = new Set([...all].sort((a, b) => weight(b) - weight(a)).slice(0, limit - 1));
  const small = new Set(all.filter((share) => !kept.has(share)).map(({ group }) => group));
  return [...all.filter((share) => kept.has(share)), shares(REST, (path) => small.has(path))];
}
