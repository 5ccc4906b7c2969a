import { lstatSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type { WatchConfig } from '../../protocol/config/config-schema.js';

/** File systems that tell only of changes made on this machine, by the number that statfs(2) gives on Linux. */
const REMOTE = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x01021997, '9p'],
  [0x00c36400, 'Ceph'],
]);

/** What a person should know about watching this project: changes that would not be seen. */
export function watchWarnings(root: string, config: WatchConfig): string[] {
  const warnings: string[] = [];
  const remote = config.use_polling ? undefined : remoteFileSystem(root);
  if (remote !== undefined) {
    warnings.push(
      `${root} is on ${remote}: changes made on other machines are not told, and not seen. Set watch.use_polling to true.`,
    );
  }
  for (const { path } of config.paths) {
    if (isLink(join(root, path))) {
      warnings.push(
        `${path} in watch.paths is a symbolic link: what it points to is not watched. Name the folder itself.`,
      );
    }
  }
  return warnings;
}

function remoteFileSystem(root: string): string | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return REMOTE.get(statfsSync(root).type);
  } catch {
    // Only a hint: a project that cannot be read is told of by the scan.
    return undefined;
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path.replace(/\/+$/, ''), { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch {
    return false;
  }
}
