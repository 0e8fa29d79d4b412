// Observable Plot without a browser: linkedom is the document, the SVG comes back as text with an
// accessible name and description. Colours are CSS variables of the report's style, so one SVG serves
// light and dark. Plot and linkedom are loaded on first use, for they would double the start-up time
// of every command.
import { Html } from './html.js';

type PlotModule = typeof import('@observablehq/plot');

export type Canvas = {
  readonly Plot: PlotModule;
  draw(title: string, description: string, options: object): Html;
};

const SVG = 'http://www.w3.org/2000/svg';
const STYLE = { fontFamily: 'inherit', fontSize: '11px', background: 'none', overflow: 'visible' };

/** One canvas a page: it numbers the figures, for the ids of their names and descriptions. */
export async function openCanvas(): Promise<Canvas> {
  const [Plot, { parseHTML }] = await Promise.all([
    import('@observablehq/plot'),
    import('linkedom'),
  ]);
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  let drawn = 0;
  return {
    Plot,
    draw(title, description, options) {
      const svg = Plot.plot({ ...options, document, className: 'plot', style: STYLE });
      const id = `figure-${++drawn}`;
      const describe = (tag: 'title' | 'desc', text: string): void => {
        const node: Element = document.createElementNS(SVG, tag);
        node.setAttribute('id', `${id}-${tag}`);
        node.textContent = text;
        svg.insertBefore(node, svg.firstChild);
      };
      describe('desc', description);
      describe('title', title);
      svg.setAttribute('role', 'img');
      svg.setAttribute('aria-labelledby', `${id}-title`);
      svg.setAttribute('aria-describedby', `${id}-desc`);
      return new Html(svg.outerHTML);
    },
  };
}

export const shortened = (text: string, length: number): string => {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
};

/** A mark's option read from a field of the data as it is: colours and symbols need no scale. */
export const asIs = <T>(value: (datum: T) => string) => ({ value, scale: null });
