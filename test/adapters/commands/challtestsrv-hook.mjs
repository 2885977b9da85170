// A dns-01 hook for pebble-challtestsrv; its first argument is the URL of its management interface.
const [url, verb, name, value] = process.argv.slice(2);
const path = verb === 'set' ? 'set-txt' : 'clear-txt';
const answer = await fetch(`${url}/${path}`, {
  method: 'POST',
  body: JSON.stringify({ host: `${name}.`, value }),
});
process.exitCode = answer.ok ? 0 : 1;
