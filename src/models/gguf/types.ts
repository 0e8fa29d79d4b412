// The element types of GGUF files (format: the ggml project's gguf.md): blocks of elements, and the
// bytes of each. All types are known by size, so that a table of tensors can be checked; those that
// are written and read as numbers have a codec in `codecs.ts`.

export type GgufType = {
  readonly name: string;
  /** Its number in the file. */
  readonly id: number;
  /** Elements of a block; rows are whole blocks. */
  readonly block: number;
  /** Bytes of a block. */
  readonly bytes: number;
};

const table: readonly (readonly [name: string, id: number, block: number, bytes: number])[] = [
  ['F32', 0, 1, 4],
  ['F16', 1, 1, 2],
  ['Q4_0', 2, 32, 18],
  ['Q4_1', 3, 32, 20],
  ['Q5_0', 6, 32, 22],
  ['Q5_1', 7, 32, 24],
  ['Q8_0', 8, 32, 34],
  ['Q8_1', 9, 32, 36],
  ['Q2_K', 10, 256, 84],
  ['Q3_K', 11, 256, 110],
  ['Q4_K', 12, 256, 144],
  ['Q5_K', 13, 256, 176],
  ['Q6_K', 14, 256, 210],
  ['Q8_K', 15, 256, 292],
  ['IQ4_NL', 20, 32, 18],
  ['IQ4_XS', 23, 256, 136],
  ['I8', 24, 1, 1],
  ['I16', 25, 1, 2],
  ['I32', 26, 1, 4],
  ['I64', 27, 1, 8],
  ['F64', 28, 1, 8],
  ['BF16', 30, 1, 2],
];

const types = table.map(([name, id, block, bytes]): GgufType => ({ name, id, block, bytes }));

export const ggufTypes: ReadonlyMap<number, GgufType> = new Map(types.map((t) => [t.id, t]));

const byName = new Map(types.map((t) => [t.name, t]));

/** A type that is written here. */
export type WrittenType = 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0';

export function ggufType(name: WrittenType): GgufType {
  return byName.get(name) as GgufType;
}

/** Bytes of a tensor whose rows are whole blocks; undefined where they are not. */
export function ggufBytes(
  { block, bytes }: GgufType,
  shape: readonly number[],
): number | undefined {
  const columns = shape.at(-1) ?? 1;
  if (columns % block !== 0) return undefined;
  return (shape.reduce((a, b) => a * b, 1) / block) * bytes;
}

/** Types of metadata values, by their numbers in the file. */
export const valueTypes = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const;
export type ValueType = (typeof valueTypes)[number];

/** Bytes of a value of fixed size. */
export const valueBytes: Readonly<Partial<Record<ValueType, number>>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
};

/** A metadata value with its type: 64-bit integers are bigint, arrays hold values of one type. */
export type GgufValue =
  | {
      readonly type: Exclude<ValueType, 'array'>;
      readonly value: number | bigint | boolean | string;
    }
  | {
      readonly type: 'array';
      readonly of: ValueType;
      readonly value: readonly (number | bigint | boolean | string | GgufValue)[];
    };

export type GgufMetadata = ReadonlyMap<string, GgufValue>;

export const MAGIC = 'GGUF';
export const ALIGNMENT = 32;
