function seconds = toc(varargin)
  % COST 2100 seeds rand('twister', toc * 1e5) from the stopwatch. Here the stopwatch shows a random number of the
  % environment's own stream: the seed becomes one of 2^32, the same in every run.
  seconds = rand() * (2^32 / 1e5);
end
