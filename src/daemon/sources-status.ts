import type { DaemonStatus } from '../protocol/status.js';
import type { Sources } from './sources.js';

export type SourcesStatus = Pick<DaemonStatus['subsystems'], 'file_watcher' | 'scheduler' | 'webhook'>;

/** What the sources of events are at; with the names that scripts of the original program read. */
export function sourcesStatus({ watcher, scheduler, webhook }: Sources): SourcesStatus {
  return {
    file_watcher: { ...(watcher?.status() ?? { enabled: false, paths: [], events_received: 0 }) },
    scheduler: { ...scheduler.status() },
    webhook: { ...(webhook?.status() ?? { enabled: false }) },
  };
}
