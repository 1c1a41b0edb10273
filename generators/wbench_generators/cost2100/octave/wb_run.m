function wb_run(request_file, answer_file)
  % Simulate the environments of a request and save their multipath components.
  %
  % request: network, scenario, band (Hz, 1 x 2), bs (m, 1 x 3), users (m, users x 2 x candidates x environments),
  %          seeds (8 x 3 x environments, uint32 values)
  % answer:  rays (rows x 6: azimuth and elevation at BS and MS in rad, delay in s, complex amplitude),
  %          count, los, chosen, clusters (users x environments), settings (1 x 2)
  request = load(request_file);
  [users, ~, ~, environments] = size(request.users);
  rays = cell(users, environments);
  count = los = chosen = clusters = zeros(users, environments);
  for e = 1:environments
    found = wb_environment(request, request.users(:, :, :, e), request.seeds(:, :, e));
    rays(:, e) = found.rays;
    count(:, e) = found.count;
    los(:, e) = found.los;
    chosen(:, e) = found.chosen;
    clusters(:, e) = found.clusters;
  end
  rays = cat(1, rays{:});
  save('-v7', answer_file, 'rays', 'count', 'los', 'chosen', 'clusters');
end
