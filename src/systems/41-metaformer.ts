import { system } from './system.js';
export default system({
  id: 41,
  slug: 'metaformer',
  paper: { title: 'x', authors: 'x', venue: 'x' },
  family: 'activation',
  claims: [],
});
