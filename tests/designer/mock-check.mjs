// A handful of the checker's rules, enough to see problems on the canvas. The real rules exist in Rust only.
const LEAVES = new Set(['end', 'throw']);

export function check(document, nodeTypes, flows = new Map()) {
  const problems = [];
  const add = (severity, code, pointer, message, node, fix) =>
    problems.push({ severity, code, pointer, message, ...(node ? { node } : {}), ...(fix ? { fix } : {}) });
  const nodes = document?.nodes ?? {};
  const edges = document?.edges ?? [];
  const types = new Map(nodeTypes.map((type) => [type.uses, type]));
  const starts = Object.entries(nodes).filter(([, node]) => node.type === 'start');
  if (starts.length !== 1)
    add('error', 'START_COUNT', '/nodes', `A flow needs exactly one start, this one has ${starts.length}`);
  edges.forEach((edge, index) => {
    for (const end of ['from', 'to'])
      if (!nodes[edge[end]]) add('error', 'EDGE_DANGLES', `/edges/${index}/${end}`, `There is no node “${edge[end]}”`);
  });
  const reached = new Set();
  const queue = [
    ...starts.map(([id]) => id),
    // What is in a container begins with the nodes that no edge leads to.
    ...Object.keys(nodes).filter((id) => nodes[id].in && !edges.some((edge) => edge.to === id)),
  ];
  while (queue.length > 0) {
    const id = queue.pop();
    if (reached.has(id)) continue;
    reached.add(id);
    for (const edge of edges) if (edge.from === id) queue.push(edge.to);
  }
  for (const [id, node] of Object.entries(nodes)) {
    const out = edges.filter((edge) => edge.from === id);
    if (!reached.has(id))
      add(
        'error',
        'UNREACHABLE',
        `/nodes/${id}`,
        'No path leads here from the start',
        id,
        'Draw an edge to this node or delete it',
      );
    if (out.length === 0 && !LEAVES.has(node.type) && !node.in)
      add(
        'error',
        'NO_WAY_OUT',
        `/nodes/${id}`,
        'Nothing follows this node',
        id,
        'Add an edge to the next node or to an end',
      );
    if (node.type === 'exclusive' && out.length > 0) {
      if (!out.some((edge) => edge.default))
        add(
          'error',
          'NO_DEFAULT',
          `/nodes/${id}`,
          'If no condition holds the instance would be stuck',
          id,
          'Mark one outgoing edge as the default',
        );
      for (const edge of out)
        if (!edge.default && !edge.when)
          add(
            'error',
            'NO_CONDITION',
            `/edges/${edges.indexOf(edge)}`,
            `The edge to “${edge.to}” needs a condition`,
            id,
          );
    }
    if (node.type === 'call' && node.flow !== document.key && !flows.has((node.flow ?? '').split('@')[0]))
      add(
        'error',
        'FLOW_MISSING',
        `/nodes/${id}/flow`,
        `no flow \`${node.flow}\` is published`,
        id,
        'publish it first',
      );
    if (node.type === 'receive' && !node.message)
      add('error', 'REQUIRED', `/nodes/${id}/message`, 'Say which message to wait for', id);
    if (node.type === 'timer' && !node.after && !node.until)
      add('error', 'REQUIRED', `/nodes/${id}/after`, 'Say how long to wait', id);
    if (node.type === 'task') task(id, node, types.get(node.uses), add);
  }
  return problems;
}

function task(id, node, type, add) {
  if (!type) {
    add('error', 'UNKNOWN_NODE_TYPE', `/nodes/${id}/uses`, `No plugin offers “${node.uses}”`, id);
    return;
  }
  for (const name of type.input?.required ?? []) {
    const value = node.with?.[name];
    if (value === undefined || value === '')
      add('error', 'REQUIRED', `/nodes/${id}/with/${name}`, `“${name}” is required`, id);
  }
  for (const name of type.config?.required ?? []) {
    if (node.config?.[name] === undefined || node.config[name] === '')
      add('error', 'REQUIRED', `/nodes/${id}/config/${name}`, `“${name}” is required`, id);
  }
  if (type.effect === 'external' && type.undo && !node.undo)
    add(
      'warning',
      'NO_UNDO',
      `/nodes/${id}`,
      'This step acts on the outside and a later step can fail, yet nothing would undo it',
      id,
      'Turn on undo for this step',
    );
}
