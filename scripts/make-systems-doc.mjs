// Writes docs/systems.md from docs/ledger.json. Run after measuring:
//   anyformer reproduce --ledger docs/ledger.json && node scripts/make-systems-doc.mjs
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './build.mjs';
import { repository } from './tree.mjs';

build();
const { readLedger } = await import('../dist/systems/ledger.js');
const { systemsDocument } = await import('../dist/systems/document.js');
const records = await readLedger(join(repository, 'docs', 'ledger.json'));
writeFileSync(join(repository, 'docs', 'systems.md'), await systemsDocument(records));
