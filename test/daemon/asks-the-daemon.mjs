// Connects to the socket in argv[2], sends one request, prints the answer. With `leave` in argv[3] it ends before the answer comes.
import { connect } from 'node:net';

const [, , path, how] = process.argv;
const socket = connect(path, () => {
  socket.write('{"jsonrpc":"2.0","id":1,"method":"gate.approve","params":{"gateId":"gate-0001"}}\n', () => {
    if (how === 'leave') process.exit(0);
  });
});
socket.once('data', (answer) => {
  process.stdout.write(answer);
  socket.destroy();
});
