function out = wbench_qd_public (request)
% The way of the public scripts: one layout per sample, QuaDRiGa's own coefficients and frequency response.
%
% request   scenario, carrier, bs, ue, seeds as for wbench_qd_builder, and velocity [3 x n] in m/s, steps, step in s,
%           carriers, spacing in Hz, rows, columns
% out.cpu   processor seconds
  rand ('twister', request.seeds(1));
  randn ('twister', request.seeds(2));
  before = cputime;
  for i = 1:size (request.ue, 2)
    setting = qd_simulation_parameters;
    setting.center_frequency = request.carrier;
    setting.use_3GPP_baseline = 1;
    setting.show_progress_bars = 0;
    layout = qd_layout (setting);
    layout.tx_position = request.bs;
    layout.tx_array = qd_arrayant ('3gpp-3d', request.rows, request.columns, request.carrier, 1, 0, 0.5);
    layout.no_rx = 1;
    layout.rx_array = qd_arrayant ('omni');
    v = request.velocity(:,i);
    t = qd_track.generate ('linear', norm (v) * request.steps * request.step, atan2 (v(2), v(1)));
    t.initial_position = request.ue(:,i);
    t.positions = v * (request.step * (0:request.steps - 1));
    t.calc_orientation;
    t.name = 'ue';
    layout.rx_track(1,1) = t;
    layout.set_scenario (request.scenario);
    channel = layout.get_channels;
    h = channel(1,1).fr (request.carriers * request.spacing, request.carriers);
  end
  out.cpu = cputime - before;
  out.size = size (h);
end
