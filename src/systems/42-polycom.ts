import { system } from './system.js';
export default system({
  id: 42,
  slug: 'polycom',
  paper: { title: 'x', authors: 'x', venue: 'x' },
  family: 'activation',
  claims: [],
});
