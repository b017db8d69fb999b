import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readXml } from '../../../src/discovery/eureka/eureka-xml.ts'

/** Without the missing prototypes, so that it can be compared. */
function read(text: string): unknown {
  const found = readXml(text)
  if (found.kind === 'unreadable') throw new Error(found.message)
  return JSON.parse(JSON.stringify([found.name, found.value]))
}

describe('what is read', () => {
  test.each<[string, string, unknown]>([
    ['an element of text is that text', '<a>b</a>', ['a', 'b']],
    ['an empty element is an empty text', '<a/>', ['a', '']],
    ['an element of nothing is one too', '<a></a>', ['a', '']],
    ['the declaration is passed over', '<?xml version="1.0" encoding="UTF-8"?>\n<a>b</a>\n', ['a', 'b']],
    ['a byte order mark too', '\uFEFF<a>b</a>', ['a', 'b']],
    ['children are members', '<a>\n <b>1</b>\n <c>2</c>\n</a>', ['a', { b: '1', c: '2' }]],
    ['several of a name are an array', '<a><b>1</b><b>2</b><b>3</b></a>', ['a', { b: ['1', '2', '3'] }]],
    ['attributes stand beside the text', '<port enabled="true">80</port>', ['port', { '@enabled': 'true', $: '80' }]],
    ['an attribute in single quotes', "<a b='c\"d'/>", ['a', { '@b': 'c"d' }]],
    ['blanks where XML allows them', '<a  b = "c" ><d /></a >', ['a', { '@b': 'c', d: '' }]],
    ['the five entities', '<a>&lt;&gt;&amp;&quot;&apos;</a>', ['a', '<>&"\'']],
    ['an entity of an entity is text', '<a>&amp;lt;</a>', ['a', '&lt;']],
    ['characters by number', '<a>&#252;&#xFC;&#x1F600;</a>', ['a', 'üü😀']],
    ['entities in attributes', '<a b="&amp;"/>', ['a', { '@b': '&' }]],
    [
      'names with dots and dashes',
      '<a><management.port-x>1</management.port-x></a>',
      ['a', { 'management.port-x': '1' }],
    ],
    ['a member called constructor is a member', '<a><constructor>1</constructor></a>', ['a', { constructor: '1' }]],
  ])('%s', (_, text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  test('no member of an answer reaches a prototype', () => {
    const found = readXml('<a><__proto__><polluted>1</polluted></__proto__></a>')
    expect(found.kind === 'read' && Object.keys(found.value as object)).toEqual(['__proto__'])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

describe('what is refused', () => {
  test.each<[string, string, RegExp]>([
    ['nothing', '', /ends too early/],
    ['words', 'hello', /text outside/],
    ['a document type, and so entities of its own', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', /else than a tag/],
    ['an entity nobody knows', '<a>&b;</a>', /entity/],
    ['a bare ampersand', '<a>b & c</a>', /entity/],
    ['a character that there is not', '<a>&#1114112;</a>', /entity/],
    ['the character 0', '<a>&#0;</a>', /entity/],
    ['CDATA', '<a><![CDATA[b]]></a>', /else than a tag/],
    ['a comment', '<a><!-- b --></a>', /else than a tag/],
    ['an instruction inside', '<a><?php ?></a>', /else than a tag/],
    ['a tag that is not closed', '<a><b></b>', /ends too early/],
    ['a tag that is cut off', '<a><b', /malformed tag/],
    ['tags that overlap', '<a><b></a></b>', /closes nothing/],
    ['a closing tag alone', '</a>', /closes nothing/],
    ['a second document', '<a/><b/>', /after the document/],
    ['words after it', '<a/>b', /after the document/],
    ['words between elements', '<a>b<c/></a>', /between elements/],
    ['an attribute twice', '<a b="1" b="2"/>', /twice/],
    ['an attribute without quotes', '<a b=1/>', /malformed tag/],
    ['an attribute without a value', '<a b/>', /malformed tag/],
    ['seventeen levels', `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`, /levels/],
    ['a million elements', `<a>${'<b/>'.repeat(1_000_000)}</a>`, /elements/],
  ])('%s', (_, text, message) => {
    expect(readXml(text)).toEqual({ kind: 'unreadable', message: expect.stringMatching(message) })
  })
})

test('whatever comes it answers, and never throws', () => {
  const pieces = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    'b',
    '=',
    '"',
    "'",
    '&',
    ';',
    '#',
    ' ',
    '\n',
    '<a>',
    '</a>',
    '<a b="c">',
  )
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (words) => {
      expect(['read', 'unreadable']).toContain(readXml(words.join('')).kind)
    }),
    { numRuns: 2000 },
  )
})

test('the texts of any tree come back as they were', () => {
  const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { minLength: 2, maxLength: 5 }), (texts) => {
      const document = `<a>${texts.map((text) => `<b>${escaped(text)}</b>`).join('')}</a>`
      expect(read(document)).toEqual(['a', { b: texts }])
    }),
  )
})
