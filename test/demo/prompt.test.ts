import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { helpText, parseCommand } from '../../src/demo/prompt.ts'

describe('what is typed at the prompt', () => {
  test.each([
    ['scale accountservice 4', { kind: 'scale', service: 'accountservice', count: 4 }],
    ['  SCALE\tquotes-service   0 ', { kind: 'scale', service: 'quotes-service', count: 0 }],
    ['scale accountservice 020', { kind: 'scale', service: 'accountservice', count: 20 }],
    ['kill accountservice', { kind: 'kill', service: 'accountservice' }],
    ['sick quotes-service', { kind: 'sick', service: 'quotes-service' }],
    ['heal', { kind: 'heal' }],
    ['list', { kind: 'list' }],
    ['help', { kind: 'help' }],
    ['quit', { kind: 'quit' }],
    ['', { kind: 'nothing' }],
    [' \t ', { kind: 'nothing' }],
  ])('%j is understood', (line, command) => {
    expect(parseCommand(line)).toEqual(command)
  })

  test.each([
    ['bogus', 'no command "bogus": type one of scale, kill, sick, heal, list, help, quit'],
    ['constructor', 'no command "constructor": type one of scale, kill, sick, heal, list, help, quit'],
    ['kill', 'kill takes a service: type kill <service>'],
    ['kill a b', 'kill takes a service: type kill <service>'],
    ['kill foo', 'no service "foo": there are accountservice and quotes-service'],
    ['scale accountservice', 'scale takes a service and a number: type scale <service> <n>'],
    ['scale foo 3', 'no service "foo": there are accountservice and quotes-service'],
    ['scale accountservice 21', '"21" instances cannot be: type a whole number from 0 to 20'],
    ['scale accountservice -1', '"-1" instances cannot be: type a whole number from 0 to 20'],
    ['scale accountservice 1.5', '"1.5" instances cannot be: type a whole number from 0 to 20'],
    ['scale accountservice 1e1', '"1e1" instances cannot be: type a whole number from 0 to 20'],
    ['scale accountservice many', '"many" instances cannot be: type a whole number from 0 to 20'],
    ['list all', 'list takes nothing more: type list'],
    ['quit now', 'quit takes nothing more: type quit'],
    ['kill \u001b[31mred', 'no service "\\u001b[31mred": there are accountservice and quotes-service'],
  ])('%j is answered with what is wrong and what to type', (line, message) => {
    expect(parseCommand(line)).toEqual({ kind: 'wrong', message })
  })

  test('the help names every command that is understood', () => {
    for (const verb of ['scale', 'kill', 'sick', 'heal', 'list', 'quit']) expect(helpText).toContain(`  ${verb}`)
  })

  test('whatever is typed, the answer is a command or one short printable line', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (line) => {
        const command = parseCommand(line)
        if (command.kind !== 'wrong') return
        expect(command.message.length).toBeLessThan(400)
        expect(command.message).not.toMatch(/\p{Cc}/u)
      }),
    )
  })
})
