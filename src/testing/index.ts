export { FakeClock } from './fake-clock.js';
export { MemoryTaskStore } from './memory-task-store.js';
export { newTask, type TestTools, taskStoreSuite } from './task-store-suite.js';
