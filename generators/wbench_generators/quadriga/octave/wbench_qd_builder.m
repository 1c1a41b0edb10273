function b = wbench_qd_builder (request)
% QuaDRiGa's builder of one link state with the parameters of n links drawn.
%
% request.scenario   name of QuaDRiGa's configuration, for instance '3GPP_38.901_UMi_NLOS'
% request.carrier    carrier frequency in Hz
% request.bs         position of the base station in m, [3 x 1]
% request.ue         positions of the UEs in m, [3 x n]
% request.seeds      seeds of the uniform and of the normal generator, [1 x 2]
  persistent tables;
  if (isempty (tables))
    tables = struct ();
  end
  % Octave keeps two generators; 'seed' instead of 'twister' would choose its old ones.
  rand ('twister', request.seeds(1));
  randn ('twister', request.seeds(2));

  setting = qd_simulation_parameters;
  setting.center_frequency = request.carrier;
  setting.use_3GPP_baseline = 1;
  setting.show_progress_bars = 0;

  key = regexprep (request.scenario, '[^A-Za-z0-9]', '_');
  key = ['s_', key];
  if (! isfield (tables, key))
    b = qd_builder (request.scenario);  % reads the configuration, which takes longer than drawing 50 links
    par = b.scenpar;
    % Links are drops of their own: large-scale parameters that decorrelate within a centimetre (0 is refused).
    for name = {'DS', 'KF', 'SF', 'AS_D', 'AS_A', 'ES_D', 'ES_A', 'XPR'}
      par.([name{1}, '_lambda']) = 0.01;
    end
    b.scenpar = par;
    tables.(key) = struct ('scenpar', b.scenpar, 'plpar', b.plpar);
  end
  b = qd_builder ([], [], tables.(key).scenpar);
  b.plpar = tables.(key).plpar;
  b.name = request.scenario;
  b.simpar = setting;
  b.tx_position = request.bs;
  % With more than two links, init_sos shifts the generators of the large-scale parameters until their mean over the
  % links of the builder is nominal. Independent links have a random mean, so the generators are made for one link;
  % gen_parameters completes what depends on the number of links.
  b.dual_mobility = 0;
  b.rx_positions = request.ue(:,1);
  b.init_sos;
  b.subpath_coupling = [];
  b.rx_positions = request.ue;
  b.check_dual_mobility (false);
  b.gen_parameters (5);
end
