// The reports and whom they are for.
export const REPORT_TABS = [
  { id: '', href: '/reports', title: 'Delivery' }, ...[['engineering', 'Engineering'], ['qa', 'QA'], ['product', 'Product'], ['security', 'Security'], ['support', 'Support'], ['finance', 'Finance']]
    .map(([id = '', title = '']) => ({ id, href: `/reports/${id}`, title })),
];
