// Test results as JUnit XML, for any Node.js since 18.

const escape = (text) => String(text).replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c]);

export default async function* junit(source) {
  const cases = [];
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' || data.name.endsWith('.mjs')) continue;
    const seconds = ((data.details?.duration_ms ?? 0) / 1000).toFixed(3);
    const failure = type === 'test:fail' ? `<failure message="${escape(data.details?.error?.message ?? 'failed')}"/>` : '';
    cases.push({ failed: failure !== '', xml: `<testcase classname="shop" name="${escape(data.name)}" time="${seconds}">${failure}</testcase>` });
  }
  const failures = cases.filter((c) => c.failed).length;
  yield `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="shop" tests="${cases.length}" failures="${failures}">\n`;
  yield cases.map((c) => `  ${c.xml}\n`).join('') + '</testsuite></testsuites>\n';
}
