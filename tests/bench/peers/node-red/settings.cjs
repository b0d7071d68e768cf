// Node-RED as it comes, without its editor's projects and with warnings only in its log.
module.exports = {
  uiHost: '127.0.0.1',
  flowFile: 'flows.json',
  editorTheme: { projects: { enabled: false }, tours: false },
  telemetry: { enabled: false },
  logging: { console: { level: 'warn', metrics: false, audit: false } },
};
