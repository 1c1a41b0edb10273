function found = wb_environment(request, candidates, seeds)
  % One environment of COST 2100 and all its users. COST 2100's functions do the modelling; what is ours:
  % * streams are seeded by us, once more after get_VRtable (which seeds its own from the stopwatch, see toc.m);
  % * of the candidate positions of a user the first that sees a cluster is taken;
  % * clusters that no user sees are left out before they are drawn: they are independent of the others;
  % * the LoS power factor is drawn for each user, as in an environment of one user.
  users = size(candidates, 1);
  rand('twister', seeds(:, 1));
  randn('twister', seeds(:, 2));
  [external, stochastic] = parameters(request, [candidates(1, :, 1), 0]);
  table = get_VRtable(external, stochastic);
  rand('twister', seeds(:, 3));
  region = get_MS_VR(table, external);

  [chosen, position, seen] = first_visible(candidates, region, stochastic.r_c);
  [table, region] = keep_clusters(table, region, seen);

  cluster = get_cluster(region, table, external, stochastic);
  mpc = get_mpc(cluster, stochastic);
  [bs_vr, bs_vr_len, bs_vr_slope] = get_BS_VR_para(table, external, stochastic);
  bs.idx = 1;
  bs.pos = request.bs;
  bs.VRLOS = get_VRLOS(bs, external, stochastic);
  bs.cluster_local = get_cluster_local('BS', 1, external, stochastic);
  bs.mpc_local = get_mpc(bs.cluster_local, stochastic);

  found.rays = cell(users, 1);
  found.count = found.los = found.clusters = zeros(users, 1);
  found.chosen = chosen;
  for u = 1:users
    [external, stochastic] = parameters(request, position(u, :));
    ms.idx = 1;
    ms.pos = position(u, :);
    ms.velo = [0 0 0];
    ms.cluster_local = get_cluster_local('MS', 1, external, stochastic);
    ms.mpc_local = get_mpc(ms.cluster_local, stochastic);
    channel = get_channel(bs, bs.pos, ms, table, region, bs_vr, bs_vr_len, bs_vr_slope, cluster, mpc, [], ...
                          external, stochastic);
    found.los(u) = channel.h_los(6) > 0;
    rays = channel.h(:, 1:6);
    if found.los(u)
      rays = [channel.h_los(1:6); rays];  % the line of sight comes first
    end
    found.rays{u} = rays;
    found.count(u) = size(rays, 1);
    found.clusters(u) = numel(channel.active_c);
  end
end

function [external, stochastic] = parameters(request, position)
  [external, stochastic] = get_para(request.network, request.scenario, request.band, 1, 1, request.bs, [0 0 0], 1, ...
                                    position, [0 0 0]);
end

function [chosen, position, seen] = first_visible(candidates, region, radius)
  users = size(candidates, 1);
  chosen = zeros(users, 1);
  position = zeros(users, 3);
  seen = false(1, size(region, 1));
  for u = 1:users
    for c = 1:size(candidates, 3)
      near = sqrt(sum((candidates(u, :, c) - region) .^ 2, 2)) < radius;
      if any(near)
        chosen(u) = c;
        position(u, 1:2) = candidates(u, :, c);
        seen |= near';
        break
      end
    end
    if chosen(u) == 0
      error('wbench: no candidate position sees a cluster');
    end
  end
end

function [table, region] = keep_clusters(table, region, seen)
  % All regions of a cluster that is seen stay: its place is drawn from any of them. Numbers become contiguous.
  groups = table(1, :, 2);
  keep = ismember(groups, unique(groups(seen)));
  [~, ~, renumbered] = unique(groups(keep));
  table = table(:, keep, :);
  table(1, :, 2) = renumbered;
  region = region(keep, :);
end
