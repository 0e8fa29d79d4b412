// Every case of the op table, for the reference kernels' test and for the devices' parity tests.
import { convCases, convRefusals } from './conv-cases.js';
import { elementCases, elementRefusals } from './element-cases.js';
import { indexCases, indexRefusals } from './index-cases.js';
import { moveCases, moveRefusals } from './move-cases.js';
import { packedCases, packedRefusals } from './packed-cases.js';
import { reduceCases, reduceRefusals } from './reduce-cases.js';

export type { OpCase, OpRefusal } from './case.js';

export const opCases = [
  ...elementCases,
  ...moveCases,
  ...reduceCases,
  ...indexCases,
  ...convCases,
  ...packedCases,
];

export const opRefusals = [
  ...elementRefusals,
  ...moveRefusals,
  ...reduceRefusals,
  ...indexRefusals,
  ...convRefusals,
  ...packedRefusals,
];
