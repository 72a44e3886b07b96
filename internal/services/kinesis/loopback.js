// Loaded before a server that knows no option for it: whatever listens on a port
// does so on 127.0.0.1 only.
const net = require('net')
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (first, ...rest) {
  if (first !== null && typeof first === 'object' && 'port' in first) {
    return listen.call(this, { ...first, host: '127.0.0.1' }, ...rest)
  }
  if (typeof first === 'number' || typeof first === 'string' && /^\d+$/.test(first)) {
    if (typeof rest[0] === 'string') rest.shift()
    return listen.call(this, Number(first), '127.0.0.1', ...rest)
  }
  return listen.call(this, first, ...rest)
}
