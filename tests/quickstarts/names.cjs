// The providers' host names stand for this machine.
const dns = require("node:dns");
const lookup = dns.lookup;
const ours = /^(api\.openai\.com|api\.anthropic\.com|generativelanguage\.googleapis\.com)$/;
dns.lookup = (name, ...rest) => lookup(ours.test(name) ? "127.0.0.1" : name, ...rest);
