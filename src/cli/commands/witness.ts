import { type CommandSpec, tellFaults, withConfig } from '../command.ts';

export const witnessCommand: CommandSpec = {
  name: 'witness',
  describe: (m) => m.help.witness,
  footer: (m) => m.help.witnessFooter,
  flags: [],
  configKeys: ['witness.name', 'witness.listen', 'witness.stateDir', 'witness.keyFile', 'witness.logs', 'log.level', 'log.format'],
  run: (invocation) =>
    withConfig(invocation, async (config) => {
      const { name, logs } = config.witness;
      const missing = [...(name === undefined ? ['witness.name'] : []), ...(logs.length === 0 ? ['witness.logs'] : [])];
      if (missing.length > 0)
        return tellFaults(
          missing.map((key) => ({ place: { kind: 'none' }, key, say: (m) => m.config.missing })),
          invocation,
        );
      return invocation.backends.witness(config, { isTerminal: invocation.isTerminal }, invocation.signal);
    }),
};
