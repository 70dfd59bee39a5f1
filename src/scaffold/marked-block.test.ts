import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasBlock, withBlock, withoutBlock } from './marked-block.ts';

function mustBe(result: ReturnType<typeof withBlock>): string {
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

const bodies = fc.array(fc.stringMatching(/^[a-z =']{0,20}$/), { maxLength: 4 }).map((lines) => lines.map((line) => `${line}\n`).join(''));

test('a block taken out leaves what was there, to the last byte', () => {
  fc.assert(
    fc.property(fc.string(), bodies, (text, body) => {
      const marked = mustBe(withBlock(text, 'goyi proxy', body));
      assert.ok(hasBlock(marked, 'goyi proxy'));
      assert.equal(mustBe(withoutBlock(marked, 'goyi proxy')), text);
    }),
  );
});

test('putting it in twice is putting it in once, and a new one takes the place of the old one', () => {
  fc.assert(
    fc.property(fc.string(), bodies, bodies, fc.string(), (text, first, second, after) => {
      const once = mustBe(withBlock(text, 'b', first));
      assert.equal(mustBe(withBlock(once, 'b', first)), once);
      assert.equal(mustBe(withBlock(once + after, 'b', second)), mustBe(withBlock(text, 'b', second)) + after);
    }),
  );
});

test('a block with half of its marks is left to its owner', () => {
  const whole = mustBe(withBlock('a\n', 'b', 'x\n'));
  for (const text of [whole.replace('# <<< b <<<\n', ''), whole.replace('\n# >>> b >>>', ''), whole + whole, '# >>> b >>>']) {
    const without = withoutBlock(text, 'b');
    const isUntouched = without.ok && without.value === text;
    assert.ok(!without.ok || isUntouched, JSON.stringify(text));
  }
  assert.equal(withoutBlock(whole.replace('# <<< b <<<\n', ''), 'b').ok, false);
});
