// The fixture answers in the shapes of openapi.json, so that what the pages show here they also show before the server.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import Ajv from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { Fixture } from './fixture/serve.mjs';
import { INCIDENT, ROLLOUT, RUN, SHA } from './fixture/story.mjs';

const contract = JSON.parse(await readFile(new URL('../../crates/lem-server/openapi.json', import.meta.url), 'utf8'));
// What the document does not name, the server does not send: a field of another name would pass for an absent one.
const schemas = Object.values(contract.components.schemas);
const parts = new Set(schemas.flatMap((s) => s.allOf ?? []).map((s) => s.$ref?.split('/').at(-1)));
for (const [name, schema] of Object.entries(contract.components.schemas)) if ((schema.properties || schema.allOf) && !parts.has(name)) schema.unevaluatedProperties = false;
const ajv = formats.default(new Ajv.default({ strict: false, allErrors: true }));
ajv.addFormat('int64', true); ajv.addFormat('int32', true);
for (const f of ['uint8', 'uint16', 'uint32', 'uint64', 'double', 'float', 'binary']) ajv.addFormat(f, true);
ajv.addSchema(contract, 'api');
const pointer = (path) => path.replaceAll('~', '~0').replaceAll('/', '~1');
const schemaOf = (path) => ajv.getSchema(`api#/paths/${pointer(path)}/get/responses/200/content/${pointer('application/json')}/schema`);

let told;
before(async () => { told = [await new Fixture().listen(), await new Fixture({ empty: true, withStages: false }).listen()]; });
after(() => Promise.all(told.map((f) => f.close())));

const ASKED = [
  ['/loop'], ['/changes'], ['/changes/{sha}', `/changes/${SHA.advice}`], ['/search', '/search?q=shop'], ['/doctor'], ['/runs'], ['/runs/{run}', `/runs/${RUN.fix}`], ['/runs/{run}', '/runs/run-100'],
  ['/runs/{run}/jobs/{job}/log', `/runs/${RUN.cache}/jobs/test-22/log`], ['/services'], ['/rollouts'], ['/rollouts/{deployment}', `/rollouts/${ROLLOUT.discount}`], ['/freezes'], ['/incidents'], ['/incidents/{incident}', `/incidents/${INCIDENT}`],
  ['/dora'], ['/events'], ['/events/{seq}', '/events/12'], ['/events/{seq}/proof', '/events/12/proof'], ['/ledger'], ['/dashboards'], ['/dashboards/{uid}', '/dashboards/shop'], ['/logs', '/logs?query=x'],
  ['/logs/histogram', `/logs/histogram?query=x&start=${new Date(Date.now() - 9e5).toISOString()}&end=${new Date().toISOString()}`], ['/logs/patterns'],
  ['/provision'], ['/secure'], ['/optimize'], ...['engineering', 'qa', 'product', 'security', 'support', 'finance'].map((team) => ['/reports/{team}', `/reports/${team}`]),
];
for (const [path, asked = path] of ASKED) {
  test(`GET ${asked.split('?')[0]} is what the contract says`, async () => {
    const check = schemaOf(`/api/v1${path}`);
    assert.ok(check, `openapi.json has GET /api/v1${path}`);
    for (const fixture of told) {
      const answer = await fetch(`${fixture.url}/api/v1${asked}`);
      // A ledger without events has no event 12, a loop without those stages no view of them, and both say so.
      if (fixture.empty && /^\/(events\/12|provision|secure|optimize|reports)/.test(asked) && answer.status === 404) continue;
      assert.equal(answer.status, 200);
      assert.ok(check(await answer.json()), JSON.stringify(check.errors?.slice(0, 4), null, 1));
    }
  });
}
