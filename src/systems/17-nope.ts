import { system } from './system.js';
export default system({
  id: 17,
  slug: 'nope',
  paper: { title: 'x', authors: 'x', venue: 'x' },
  family: 'activation',
  claims: [],
});
