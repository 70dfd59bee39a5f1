import { checksums } from './checks/checksums.ts';
import { goCommand, toolchain } from './checks/go-version.ts';
import { gopath } from './checks/gopath.ts';
import { folders, temporary } from './checks/machine.ts';
import { moduleNames, modules } from './checks/modules.ts';
import { authorities, clock, databaseNetwork, noProxy, outbound, proxies } from './checks/network.ts';
import { database, goFlags, modulesOff, privatePatterns, proxyList, shadowing } from './checks/settings.ts';
import type { Check } from './finding.ts';

/** Every check, in the order in which its findings are told: what spoils everything else first. */
export const checks: readonly Check[] = [
  goCommand,
  shadowing,
  modulesOff,
  goFlags,
  proxyList,
  database,
  privatePatterns,
  outbound,
  noProxy,
  authorities,
  clock,
  proxies,
  databaseNetwork,
  toolchain,
  moduleNames,
  modules,
  checksums,
  gopath,
  temporary,
  folders,
];
