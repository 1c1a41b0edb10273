function out = wbench_qd_clock (request)
% Processor seconds that this Octave has spent so far.
  out.cpu = cputime;
end
