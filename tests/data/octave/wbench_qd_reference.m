function out = wbench_qd_reference (request)
% Channels by QuaDRiGa itself for what wbench_qd_draw would draw: get_channels and fr. A reference for tests.
%
% request    as for wbench_qd_builder, and
%   .velocity      of the UEs in m/s, [3 x n]
%   .steps, .step  snapshots and their distance in s
%   .carriers, .spacing  subcarriers from the carrier on and their spacing in Hz
%   .tx, .rx       structures of an array: rows, columns, slants in rad in wbench's sense, directive (0 omni, 1 the
%                  element of TR 38.901)
%   .turn          [bearing, downtilt] of the base station in rad
  b = wbench_qd_builder (request);
  n = size (b.rx_positions, 2);
  tx = panel (request.tx, request.carrier);
  rx = panel (request.rx, request.carrier);
  b.tx_array = tx;
  b.rx_array = rx;
  base = qd_track ([]);
  base.initial_position = request.bs;
  base.orientation = [0; -request.turn(2); request.turn(1)];
  base.name = 'bs';
  out.H = zeros (n, request.steps, request.carriers, rx.no_elements, tx.no_elements);
  for i = 1:n
    b.tx_array(1,i) = tx;
    b.rx_array(1,i) = rx;
    v = request.velocity(:,i);
    heading = atan2 (v(2), v(1));
    t = qd_track.generate ('linear', 1, heading);
    t.initial_position = request.ue(:,i);
    t.positions = v * (request.step * (0:request.steps - 1));
    t.calc_orientation;
    t.name = sprintf ('ue%d', i);
    b.rx_track(1,i) = t;
    b.tx_track(1,i) = base;
  end
  channel = b.get_channels;
  for i = 1:n
    h = channel(1,i).fr (request.carriers * request.spacing, request.carriers);  % [rx, tx, carrier, time]
    out.H(i,:,:,:,:) = reshape (permute (h, [4, 3, 1, 2]), 1, request.steps, request.carriers, rx.no_elements, []);
  end
end

function a = panel (shape, carrier)
% An array in wbench's order of ports. QuaDRiGa's own panels count rows from the bottom and turn their elements for
% slanted polarisation, which makes the slant depend on the direction; here it does not, as in TR 38.901, model 2.
  if (shape.directive)
    a = qd_arrayant ('3gpp-3d', 1, 1, carrier, 1);
  else
    a = qd_arrayant ('omni');
  end
  a.center_frequency = carrier;
  amplitude = a.Fa;
  count = shape.rows * shape.columns;
  a.no_elements = count * numel (shape.slants);
  half = qd_simulation_parameters.speed_of_light / carrier / 2;
  k = 0;
  for slant = shape.slants
    for c = 1:shape.columns
      for r = 1:shape.rows
        k = k + 1;
        a.Fa(:,:,k) = cos (slant) * amplitude;
        a.Fb(:,:,k) = sin (slant) * amplitude;
        a.element_position(:,k) = [0; c - (shape.columns + 1) / 2; (shape.rows + 1) / 2 - r] * half;
      end
    end
  end
  a.coupling = eye (k);
end
