import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { webhookAnswer, webhookRequest } from '../../adapters/webhook/messages.ts';

const file = `${import.meta.dirname}/../../docs/authorities/webhook.schema.json`;

/** The schemas as the other side sees them: requests as we write them, answers as we read them. */
function publishedSchema(): object {
  const request = { ...z.toJSONSchema(webhookRequest, { io: 'input' }), $schema: undefined };
  const answer = { ...z.toJSONSchema(webhookAnswer, { io: 'input' }), $schema: undefined };
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'certprov webhook, version 1',
    description:
      'What the kind `webhook` sends by POST ($defs.request), and what it takes for an answer with a 2xx status ($defs.answer). Further keys in an answer are ignored.',
    oneOf: [{ $ref: '#/$defs/request' }, { $ref: '#/$defs/answer' }],
    $defs: { request, answer },
  };
}

describe('docs/authorities/webhook.schema.json', () => {
  it('is what the code says (UPDATE_SCHEMA=1 npm test -- test/docs/webhook-schema writes it anew)', () => {
    const schema = JSON.stringify(publishedSchema());
    if (process.env['UPDATE_SCHEMA'] === '1') writeFileSync(file, schema);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(schema));
  });
});
