// The advisor's public names.
export { type Assessed, type Assessment, assess } from './assess.js';
export { parseBudget, showBudget } from './budget.js';
export type { Candidate, PassStep } from './candidate.js';
export type { Budget, Constraint } from './constraint.js';
export { judge, meets, type Verdict } from './judge.js';
export { interleave, timingOf } from './measure.js';
export { type Estimate, METRICS, type Measured, type Metric, type Metrics } from './metric.js';
export { type Optimized, type OptimizeEvent, type OptimizeOptions, optimize } from './optimize.js';
export { paretoFront } from './pareto.js';
export { type Judge, measureQuality, openJudge, type QualityData } from './quality.js';
export { recommend } from './recommend.js';
export { type ReportData, renderReport, reportJson } from './report.js';
export { defaultCandidates } from './search.js';
export { renderTable, tableRows } from './table.js';
