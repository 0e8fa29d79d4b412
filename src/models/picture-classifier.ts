// Running an image classifier: pictures in, how likely each class is out.
import type { Device } from '../runtime/device.js';
import { toNumbers } from '../tensor/index.js';
import { type ClassScore, classScores } from './class-scores.js';
import { classesOf, type Model, visionProgram } from './model.js';
import { programParameters } from './parameters.js';
import { type Picture, pixelsOf } from './pictures.js';

/** Pictures of one batch. */
const BATCH = 16;

export type PictureClassifier = AsyncDisposable & {
  readonly model: Model;
  /** For each picture the classes, the likeliest first. */
  classify(
    pictures: readonly Picture[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<ClassScore[][]>;
};

/** Compiles the model for a device. Classes without a name are called by their number. */
export async function openPictureClassifier(
  model: Model,
  device: Device,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<PictureClassifier> {
  const built = visionProgram(model);
  const parameters = await programParameters(model, built);
  const program = await device.compile(built.graph, { parameters, signal });
  const classify: PictureClassifier['classify'] = async (pictures, options = {}) => {
    const out: ClassScore[][] = [];
    for (let from = 0; from < pictures.length; from += BATCH) {
      const some = pictures.slice(from, from + BATCH);
      const { scores } = await program.run({ pixels: pixelsOf(model, some) }, options);
      const values = toNumbers(scores);
      const count = values.length / some.length;
      const names = namesOf(model, count);
      some.forEach((_, i) => {
        out.push(classScores(model, names, values.subarray(i * count, (i + 1) * count)));
      });
    }
    return out;
  };
  return { model, classify, [Symbol.asyncDispose]: () => program.dispose() };
}

function namesOf(model: Model, count: number): readonly string[] {
  return classesOf(model) ?? Array.from({ length: count }, (_, i) => String(i));
}
