import { describe, expect, it } from 'vitest';
import { AnyformerError, currentPath, graph, input, nearest, within } from './index.js';
import { located, trail } from './path.js';

describe('module paths', () => {
  it('are those of the innermost module, also after a failure', () => {
    expect(currentPath()).toBe('');
    within('layers.0', 'block', () => {
      expect(currentPath()).toBe('layers.0');
      expect(() =>
        within('layers.0.mlp', 'mlp', () => {
          throw new Error('inside');
        }),
      ).toThrow('inside');
      expect(currentPath()).toBe('layers.0');
      expect(within('layers.0.mlp', 'mlp', currentPath)).toBe('layers.0.mlp');
    });
    expect(currentPath()).toBe('');
  });

  it('stand on every node', () => {
    const x = input('x', 'f32', ['n', 4]);
    const y = within('layers.0', 'block', () => x.neg());
    expect([x.node.path, y.node.path]).toEqual(['', 'layers.0']);
    expect(graph({ y }).nodes.map(({ path }) => path)).toEqual(['', 'layers.0']);
  });

  it('make a trail of the module, the functions in it and the operation', () => {
    expect(trail('matmul')).toBe('matmul');
    within('layers.3', 'block', () =>
      within('layers.3.attention', 'probsparse', () => {
        expect(trail('matmul')).toBe('layers.3.attention > probsparse > matmul');
        within('layers.3.attention', 'sample', () => {
          expect(trail('topK')).toBe('layers.3.attention > probsparse > sample > topK');
        });
      }),
    );
  });
});

describe('errors', () => {
  const refused = (build: () => unknown): AnyformerError => {
    try {
      build();
    } catch (error) {
      if (error instanceof AnyformerError) return error;
    }
    return expect.fail('nothing was refused');
  };

  it('name the place, both shapes, what was expected and what was found', () => {
    const q = input('q', 'f32', ['batch', 8, 64]);
    const k = input('k', 'f32', ['batch', 32, 64]);
    const error = refused(() =>
      within('layers.3', 'block', () =>
        within('layers.3.attention', 'probsparse', () => q.matmul(k)),
      ),
    );
    expect(error.code).toBe('tensor/shape');
    expect(error.message.split('\n')).toEqual([
      'layers.3.attention > probsparse > matmul: f32[batch, 8, 64] x f32[batch, 32, 64]: [batch, 8, 64] x [batch, 32, 64] do not multiply',
      '  expected: equal inner sizes and leading axes that broadcast',
      '  found:    inner sizes 64 and 32',
    ]);
  });

  it('say what to do where that is known', () => {
    const error = refused(() => input('a', 'f32', [2]).add(input('b', 'f16', [2])));
    expect(error.message).toMatch(/^ {2}to do: {4}cast one of them$/m);
    expect(error).toMatchObject({ expected: 'f32', found: 'f16', hint: 'cast one of them' });
  });

  it('keep the cause, and leave errors of other kinds alone', () => {
    const cause = new Error('below');
    const error = refused(() =>
      located('read', [], () => {
        throw new AnyformerError('file/missing', { what: 'no such file', cause });
      }),
    );
    expect(error).toMatchObject({ code: 'file/missing', message: 'read: no such file', cause });
    expect(() =>
      located('read', [], () => {
        throw cause;
      }),
    ).toThrow(cause);
  });
});

describe('nearest', () => {
  it('puts the fewest edits first', () => {
    const known = ['softmax', 'probsparse', 'linear', 'sotfmax'];
    expect(nearest('softmx', known)[0]).toBe('softmax');
    expect(nearest('propsparse', known, 1)).toEqual(['probsparse']);
    expect(nearest('x', [])).toEqual([]);
    expect(nearest('', ['ab', 'a'])).toEqual(['a', 'ab']);
    expect(nearest('kitten', ['sitting', 'mitten', 'bitter'])).toEqual([
      'mitten',
      'bitter',
      'sitting',
    ]);
  });
});
