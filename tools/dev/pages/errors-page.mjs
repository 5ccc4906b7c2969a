/** `docs/reference/errors.md`: the catalogue of errors. */
export function errorsPage(catalogue) {
  const rows = Object.entries(catalogue).map(
    ([code, { exit, rpc, meaning }]) =>
      `| \`${code}\` | ${exit} | ${rpc ?? '–'} | ${meaning.replaceAll('|', '\\|')} |`,
  );
  return `${[
    '# Errors',
    '<!-- Made by `npm run docs`; edit src/protocol/errors.ts instead. -->',
    'Every error has a code that programs can rely on. A command that ends with it has the exit code; over the socket it is a JSON-RPC error with the number, and details in `data`.',
    ['| code | exit | JSON-RPC | meaning |', '|---|---|---|---|', ...rows].join('\n'),
  ].join('\n\n')}\n`;
}
