export const OBSERVE_TABS = [
  { id: 'explore', href: '/observe/explore', title: 'Explore' }, { id: 'dashboards', href: '/observe/dashboards', title: 'Dashboards' },
  { id: 'logs', href: '/observe/logs', title: 'Logs' }, { id: 'patterns', href: '/observe/patterns', title: 'Patterns' },
  { id: 'alerts', href: '/observe/alerts', title: 'Alerts' }, { id: 'targets', href: '/observe/targets', title: 'Targets' },
];
