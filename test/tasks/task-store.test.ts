import { describe, expect, it } from 'vitest';
import { MemoryTaskStore, taskStoreSuite } from '#aiwgd/testing/index.js';
import { openStore, temporaryFolder } from './open-store.js';

taskStoreSuite(
  'MemoryTaskStore',
  { open: async ({ clock }) => new MemoryTaskStore(clock) },
  { describe, it, expect },
);

taskStoreSuite(
  'SQLite',
  { open: async ({ clock }) => (await openStore(temporaryFolder(), clock)).store },
  { describe, it, expect },
);
