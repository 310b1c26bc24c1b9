// Compile contracts/*.sol to contracts/build/{name}.json with the members abi and bytecode (`make contracts`).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import solc from 'solc';

const here = dirname(fileURLToPath(import.meta.url));
const names = readdirSync(here).filter((name) => name.endsWith('.sol'));
const input = {
  language: 'Solidity',
  sources: Object.fromEntries(names.map((name) => [name, { content: readFileSync(join(here, name), 'utf8') }])),
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: 'paris',
    // Without a metadata hash, the same source always compiles to the same bytecode.
    metadata: { bytecodeHash: 'none' },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object'] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const { severity, formattedMessage } of output.errors ?? []) {
  console.error(formattedMessage);
  if (severity === 'error') process.exitCode = 1;
}
if (!process.exitCode) {
  mkdirSync(join(here, 'build'), { recursive: true });
  for (const [name, contract] of Object.values(output.contracts).flatMap(Object.entries)) {
    const artifact = { abi: contract.abi, bytecode: '0x' + contract.evm.bytecode.object };
    writeFileSync(join(here, 'build', `${name}.json`), JSON.stringify(artifact, null, 1) + '\n');
  }
}
