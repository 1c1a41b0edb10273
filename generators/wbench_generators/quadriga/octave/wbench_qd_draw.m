function out = wbench_qd_draw (request)
% Large-scale parameters and rays of n links, see wbench_qd_builder. L taps, P rays, the rays of a tap together.
%
% out.rays    rays of each tap, [1 x L]
% out.delay   delay of each tap in s, [n x L]
% out.gain    power gain of each tap, path loss and shadow fading included, [n x L]
% out.phase   initial phase in rad, single [n x P]
% out.aod, out.eod, out.aoa, out.eoa   ray angles in rad, double [P x n]
% out.xpr     polarisation matrix, column-major, single complex [4 x P x n]
% out.kf      Ricean K factor, linear, [1 x n];  out.ds  delay spread in s, [1 x n]
  b = wbench_qd_builder (request);
  n = size (b.rx_positions, 2);
  rays = b.NumSubPaths;
  last = cumsum (rays);
  first = last - rays + 1;
  center = {b.AoD, b.EoD, b.AoA, b.EoA};
  par = b.scenpar;
  spread = [par.PerClusterAS_D, par.PerClusterES_D, par.PerClusterAS_A, par.PerClusterES_A];
  row = [1, 3, 2, 4];  % of subpath_coupling: AoD, AoA, EoD, EoA
  angles = zeros (4, last(end), n);
  for tap = 1:numel (rays)
    if (rays(tap) == 1)
      offset = 0;
    else
      offset = qd_builder.call_private_fcn ('get_subpath_angles', rays(tap), 1, false);
    end
    [~, order] = sort (b.subpath_coupling(:, first(tap):last(tap), :), 2);
    for k = 1:4
      turned = reshape (offset(order(row(k),:,:)), 1, rays(tap), n);
      angles(k, first(tap):last(tap), :) = spread(k) * turned + reshape (center{k}(:,tap), 1, 1, n);
    end
  end
  out.rays = rays;
  out.delay = b.taus;
  % Where the deviation of the shadow fading changes with the distance, get_channels scales it and b.gain does not.
  [~, scale] = b.get_pl;
  out.gain = b.gain .* (b.sf .^ (scale - 1)).';
  out.phase = single (b.pin);
  out.aod = reshape (angles(1,:,:), [], n);
  out.eod = reshape (angles(2,:,:), [], n);
  out.aoa = reshape (angles(3,:,:), [], n);
  out.eoa = reshape (angles(4,:,:), [], n);
  out.xpr = single (b.xprmat);
  out.kf = b.kf;
  out.ds = b.ds;
end
