export { FakeClock } from './fake-clock.js';
export { MemoryTaskStore } from './memory-task-store.js';
export { BACK, charge, DONE, newTask, type TaskStoreEngine, type TestTools } from './suite-harness.js';
export { taskStoreSuite } from './task-store-suite.js';
